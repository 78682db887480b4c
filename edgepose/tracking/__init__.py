"""From a user's images and videos to trajectories on disk, on this machine alone.

sources.py   what the user names -> inputs          video.py      a file -> upright frames and their times
estimator.py a picture -> a pose                    tracking.py   which part of a picture the network sees
track.py     all poses of one input                 smoothing.py  over time, never over a gap
confidence.py  peak -> probability                  quality.py    what a person should be warned of
tables.py    csv, parquet, coco, h5                 overlay.py, pictures.py  what a person looks at
predict.py   one input, start to end                batch.py      all inputs, resumable
"""
