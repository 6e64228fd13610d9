"""The training engine: many networks at once, one a slot, that differ in seed and learning rate.

Every array carries the slots in front: (slots, ...). A slot's numbers are the same bytes whatever stands beside it,
because products of matrices, sums and draws are made for each slot by itself.
"""
