"""Give your own encoder a memory, train it in your own loop, and read its evidence."""

import torch
from torch import nn
from torch.nn import functional as F

import whence

digits = whence.load_dataset("digits")
train = digits.train.take(range(200))
torch.manual_seed(0)
encoder = nn.Sequential(
    nn.Conv2d(1, 32, 3, padding=1, bias=False),
    nn.BatchNorm2d(32),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(32, 64, 3, padding=1, bias=False),
    nn.BatchNorm2d(64),
    nn.ReLU(),
    nn.AdaptiveAvgPool2d(1),
    nn.Flatten(),
)
model = whence.wrap(encoder, digits.train.class_names, image_shape=(1, 8, 8))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

for _step in range(100):
    batch, memory = torch.randperm(len(train))[:80].split((50, 30))  # no image is in both
    logits = model(train.images[batch], train.images[memory])
    loss = F.cross_entropy(logits, train.labels[batch])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

model.eval().remember(train.images, train.labels)
found = whence.evaluate(model, digits.test)
print(f"{found.whole_memory:.1%} of {found.images} unseen digits right")

answer = whence.predict(model, digits.test.images[:1])[0]
print(f"the first is a {model.class_names[answer.predicted]}, computed from:")
for item in answer.evidence[:5]:
    print(f"  training image {item.index}, a {item.label}, weight {item.weight:.2f}, {item.role}")
assert found.whole_memory > 0.5
