"""What the lecture notes show beside their programs, and what their programs differ in.

An exhibit is a file: a function that computes it and gives it as data, one that draws the data
(``draw_activations``), and one that puts words around both (``activations_exhibit``).
:mod:`harness.lecture.gallery` puts all of them on a page; :mod:`harness.lecture.sections` writes the
sections of a report on the preset ``lecture``.
"""
