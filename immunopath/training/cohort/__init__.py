"""Who belongs to a cohort: barcodes, GDC manifests, and one slide and one aliquot a patient."""
