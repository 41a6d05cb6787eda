"""Zhang et al. 2017: networks that fit random labels and random pixels, and what else fits them."""
