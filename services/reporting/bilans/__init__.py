"""Bilans: what an académie and its networks have done in two months, in figures and words, and signed for good.

The circular 2013-035 asks for "un bilan quantitatif et qualitatif tous les deux mois à partir du mois de mars 2013".
`domain` has the rules, `figures` what is counted, `tables` the one table behind every format, `bilans` the service.
"""
