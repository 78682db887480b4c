"""Built-in infants: a procedural data set in the manner of In-Motion Poses, annotated exactly.

body.py      proportions, joint angles, bones, keypoints       motion.py  how the angles move
posture.py, carried.py, postures.py  the angles of each posture
poser.py, stance.py  on the back; on tummy, seat, knees or feet
implicit.py  rounded shapes and their mesh                     template.py, skin.py  the skinned infant
variety.py   what a data set is drawn from: the clinic's infants, the home's, its postures
scene.py     tables of recording setups and looks; camera      lighting.py  light
patterns.py, room.py, props.py, toys.py, hands.py  surroundings
dress.py     clothes and colours    raster.py, render.py  the picture
video.py     all that one video draws    raters.py  human spread    dataset.py  the files
"""

from edgepose.synthetic.dataset import parse_size, synthesise

__all__ = ["parse_size", "synthesise"]
