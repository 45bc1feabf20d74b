"""Training of styles and of the detector's feature network. Nothing here is imported at run time."""
