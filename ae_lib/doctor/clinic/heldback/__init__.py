"""Programs for measuring only, before any rule is tuned to them.

The record clinic_heldback names the commit whose rules had not seen them.
"""
