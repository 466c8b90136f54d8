"""Networks for classification, one family a file, and their registry for configs.

Inputs are used as they come (integers are cast to floats): scaling is the caller's, see
`jaxal.data`. Equal calls return the identical `Model`, so a compiled function that holds one is
found again in jit's cache.
"""
