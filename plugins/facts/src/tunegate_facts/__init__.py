"""The facts suite of Tunegate: does an output state what stands in its case, and nothing else?"""
