"""A small sample with speech and a moving face, made from what the packages carry.

The speech is espeak-ng's; the face is the public-domain portrait in scikit-image, moved by the
loudness of the speech. Both come with the extra ``[demo]``. Nothing here is a model of a talking
head: it is input with known properties for demonstrations and tests.
"""
