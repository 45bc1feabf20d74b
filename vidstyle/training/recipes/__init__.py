"""The ways of training: each a small class that the loop (`vidstyle.training.loop`) runs.

`distillation`  copy a teacher, then let a critic sharpen the strokes: how the shipped styles are made
`pix2pix`       pairs painted by a teacher, L1 and a conditional critic
`cyclegan`      photographs and paintings without pairs, there and back again
`perceptual`    photographs towards paintings by feature, colour, smoothness and temporal losses and a critic
`gan`           pictures out of noise, with classes if wanted
"""
