"""One file per backend, named like it. The registry imports every file here, so a new one needs no other change.

A file calls :func:`space_clip_ros.inference.registry.register`. It must not import its library at the top: that
happens in ``load``, when a model is opened.
"""
