#!/usr/bin/python3
"""pose-rotator as a stage in Python, by facet.py (docs/python.md)."""
import facet
import numpy as np

def angles(about):
    return facet.param([-20, -10, 0, 10, 20], unit="deg", help="about " + about)

@facet.stage(takes="landmarks f32[68,3]", name="pose-rotator.py",
             gives="target f32[68,3], pose_deg f32[3], view i64, n_views i64")
def rotate(item, rx=angles("x"), ry=angles("y")):
    "Turns 68 points to target poses, as pose-rotator does."
    points = item["landmarks"].astype(float)
    poses = [(x, y, 0.0) for x in rx for y in ry]
    for view, pose in enumerate(poses):
        (sx, sy, _), (cx, cy, _) = np.sin(np.radians(pose)), np.cos(np.radians(pose))
        turn = np.array([[cy, sy * sx, sy * cx], [0, cx, -sx], [-sy, cy * sx, cy * cx]])
        target = (points - points.mean(0)) @ turn.T + points.mean(0)
        yield {"target": target.astype("f4"), "pose_deg": np.array(pose, "f4"),
               "view": view, "n_views": len(poses)}

facet.main()
