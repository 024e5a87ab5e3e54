"""What PyHiTS is compared with, one kind a module, each written for speed."""
