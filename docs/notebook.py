# %% [markdown]
# # whence in a notebook
#
# A classifier that learns from 300 small digits and shows, for every answer, the training images
# it was
# computed from. Everything here runs on a CPU in seconds; `python -m tools.build_notebook`
# executes it again.

# %%
import torch

import whence

dataset = whence.load_dataset("digits")
train, test = dataset.train.take(range(300)), dataset.test.take(range(150))
train

# %% [markdown]
# ## Train, and remember the training images
#
# With `variant="votes"` the probability of a class is the weight on the stored images with its
# label.

# %%
torch.manual_seed(0)
model = whence.wrap("small_cnn", dataset.train.class_names, variant="votes", image_shape=(1, 8, 8))
whence.fit(model, train, plan=whence.Plan(epochs=10, memory_size=50))
model.remember(train.images, train.labels)
model

# %% [markdown]
# ## How good is it?

# %%
measured = whence.evaluate(model, test)
measured

# %% [markdown]
# The last pictures are the surest wrong answers, each beside the stored images that it hangs on
# most. Every answer is a row of a frame of pandas.

# %%
answers = measured.to_frame()
answers.loc[~answers.right, ["image", "label", "answer", "probability"]]

# %% [markdown]
# ## One answer, and the images behind it

# %%
wrong = answers.index[~answers.right][0]
whence.view(model, test.images[wrong], truths=[answers.label[wrong]])

# %% [markdown]
# All evidence as a frame, one row for each stored image that took part: which stored images are
# used most?

# %%
evidence = whence.predict(model, test.images).to_frame(evidence=True)
evidence.groupby(["index", "label"]).weight.sum().sort_values(ascending=False).head()

# %% [markdown]
# ## What if a stored image were not there?
#
# An edited model answers as if it had stored only what is left; nothing is trained.

# %%
first = whence.predict(model, test.images[wrong])[0]
first

# %%
without = whence.edit(model, remove=[one.index for one in first.evidence[:3]])
whence.predict(without, test.images[wrong])[0]

# %% [markdown]
# ## In scikit-learn
#
# `EvidenceClassifier` votes on any numbers, or on images with an encoder; here on the pixels
# themselves.

# %%
from sklearn.model_selection import cross_val_score

pixels = train.images.flatten(1).numpy()
classifier = whence.EvidenceClassifier(random_state=0)
cross_val_score(classifier, pixels, train.labels.numpy(), cv=3).mean().round(3)
