"""The settings file of the paper's code."""

AUTHORS = """\
model: mobilenet
save: True
train_examples: 1000
runs: 15
batch_size_train: 128
batch_size_test: 500
optimizer:
    learning_rate: 1e-1
    weight_decay: 5e-4
    momentum: 0.9
    nesterov: True
dataset_dir: datasets
dataset_name: SVHN
SVHN:
    num_classes: 10
    num_epochs: 40
    opt_milestones: [20, 30]
    mem_examples: 100
CIFAR10:
    num_classes: 10
    num_epochs: 300
    opt_milestones: [150, 225]
    mem_examples: 100
CINIC10:
    num_classes: 10
    num_epochs: 300
    opt_milestones: [150, 225]
    mem_examples: 100
"""
