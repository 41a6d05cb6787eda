"""Erhan et al. 2009: what units of deep belief nets and stacked denoising autoencoders look for."""
