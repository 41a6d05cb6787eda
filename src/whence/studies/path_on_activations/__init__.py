"""Path masks on the activations of a layer, and a small conditional GAN as a source of morphs."""
