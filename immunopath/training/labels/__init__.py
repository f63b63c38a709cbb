"""Labels of the eight fields from RNA-seq of the same tumour.

Expression → signature scores → fields. Every constant on the way is fitted on the training split
only and stored, so that a new cohort is labelled by the same rule.
"""
