"""The attribution methods, one file each; ``METHODS`` lists them."""
