"""The words of a report, for a reader who knows infants better than networks."""

from __future__ import annotations

from edgepose.reporting.document import Terms

NOTICE = (
    "Research software, not a medical device. These figures describe how precisely a program marks body "
    "points in images; they are no basis for diagnosis or treatment of a child."
)

GLOSSARY = Terms(
    (
        (
            "Keypoint",
            "A named body point, such as the left wrist. The model marks each one in each image, and is "
            "held against the point that a person marked.",
        ),
        (
            "Head length",
            "The ruler: distances are divided by the length of the person's head in the same image, so that "
            "near and far, small and large count alike.",
        ),
        (
            "PCKh@t",
            "Percentage of correct keypoints: how many of the marked points lie within t head lengths of the "
            "annotation. @0.5 asks whether the right limb was found, @0.1 whether it was found precisely. "
            "Higher is better.",
        ),
        ("AUC", "PCKh averaged over all t from 0 to 0.5. Higher is better."),
        (
            "ME, median and P95 error",
            "Mean distance between mark and annotation, in head lengths; half of the errors are below the "
            "median, 95 % below P95. ME over all keypoints is the mean of the keypoints' own. Lower is "
            "better.",
        ),
        (
            "Human spread",
            "How far trained people differ among themselves when they mark the same point; mean and 95th "
            "percentile (P95), in head lengths.",
        ),
        (
            "PCKh@Human^0.95",
            "How many of the model's marks are as close as 95 % of human marks are, for each keypoint by its "
            "own spread. 95 % is human level.",
        ),
        (
            "ICC(A,1), ICC(C,1)",
            "Whether the keypoints that are hard for the model are those that are hard for people: absolute "
            "agreement and consistency; 1 is complete, 0 is none.",
        ),
        (
            "95 % interval",
            "Where the figure may well lie if the same study were made on other videos of the same kind. It "
            "says nothing of other cameras, clinics or children.",
        ),
        (
            "Margin; non-inferior, inferior, undecided",
            "How much worse than the baseline is still taken as no worse. A body point is non-inferior where "
            "its interval of the difference lies below the margin, inferior where it lies above, undecided "
            "where it holds the margin. Non-inferior is not the same as equal.",
        ),
        (
            "Jitter and errors of velocity and acceleration (movement over time)",
            "How much a point trembles from frame to frame, and how far its speed and change of speed, with "
            "their directions, are from the baseline's and from the annotation's. Jitter as a kind of error, "
            "below, is something else.",
        ),
        (
            "Good, jitter, inversion, miss",
            "Every mark is one of four: good, within 0.2 head lengths; jitter, within 0.5; inversion, "
            "farther than that but within 0.5 of another marked body part (left right: of the same part on "
            "the other side); miss, the rest.",
        ),
        (
            "Recipe",
            "How numbers are stored in the model file: fp32 and fp16 are floating point, weights-int8 stores "
            "weights in 8 bits and computes in floating point, dynamic rounds the activations too as it "
            "runs, which gives other keypoints on other processors, int8 computes in 8 bits throughout, "
            "int16x8 keeps 16-bit activations. Smaller files may cost accuracy.",
        ),
        (
            "File and deflated size",
            "Bytes of the model file as it lies on the phone, and after deflate (zlib, level 9), which is "
            "about what an app store sends. Pruning (weights made zero) and clustering (weights that share "
            "few values) lower the second only.",
        ),
        (
            "Output and decoder",
            "What the model gives (low-resolution maps, maps at input size, or coordinates), and how "
            "coordinates are read out of it.",
        ),
        (
            "Latency",
            "Time for one image through the model, median and the value that 90 % of runs stay below (p90).",
        ),
        (
            "Pareto front",
            "The grey line: no other model is both cheaper and more accurate than those on it.",
        ),
    )
)
