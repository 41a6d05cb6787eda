"""Lines of export, checks, comparison and sharing to break once; see ``tools/break_it_once.py``."""

DELIVERY = [  # file below src/whence, text that is right, text that is wrong, tests
    (
        "models/whole_graph.py",
        "low = find_threshold(largest.sort(dim=1, descending=True).values)",
        "low = largest.amax(1, keepdim=True) - 0.01",
        "test_export",
    ),
    (
        "models/whole_graph.py",
        "if self.first is None else scores[:, self.first]",
        "",
        "test_export",
    ),
    (
        "models/stamp.py",
        "return [tensor._version for tensor in self.tensors] == self.versions",
        "return True",
        "test_export",
    ),
    ("deploy/answering_graph.py", " | copies.all(1, keepdim=True)", "", "test_export_onnx"),
    (
        "deploy/answering_graph.py",
        "read.weights[:, self.order]",
        "read.weights",
        "test_export_onnx",
    ),
    (
        "deploy/answering_graph.py",
        "copies = copies & (asked[:, None, 2] == self.keys[:, 2])",
        "copies = copies & (asked[:, None, 2] != self.keys[:, 2])",
        "test_export_onnx",
    ),
    (
        "deploy/pixel_keys.py",
        "keys[~torch.tensor(whole",
        "keys[torch.tensor(whole",
        "test_export_onnx",
    ),
    ("deploy/pixel_keys.py", "WHOLE_BITS - 8 - ", "WHOLE_BITS - ", "test_export_onnx"),
    ("checks/judging.py", "math.ceil(", "math.floor(", "test_rules"),
    ("checks/rules.py", "fine = doubt <= keys", "fine = doubt >= keys", "test_rules"),
    ("checks/check.py", "max(0, place + 1 - window)", "max(0, place - window)", "test_check"),
    ("runs/check_epochs.py", "copy.deepcopy(model.encoder)", "model.encoder", "test_check_cli"),
    ("runs/check_epochs.py", '["epoch"] <= epochs', '["epoch"] >= epochs', "test_check_cli"),
    ("gather/compared.py", "min(weight, second.get", "max(weight, second.get", "test_compared"),
    (
        "gather/compared.py",
        "shares[table] = answer.probabilities",
        "shares = answer.probabilities",
        "test_compared",
    ),
    ("gather/drift.py", "bank.groups[part, None] != bank.groups", "None", "test_compared"),
    (
        "report/checked.py",
        "NO_XML.sub(lambda found: ascii(found[0])[1:-1], text)",
        "text",
        "test_checked",
    ),
    ("storage/hub.py", ' or ".." in name', "", "test_push"),
    ("sharing/push.py", "save(model, folder, pixels=pixels)", "save(model, folder)", "test_push"),
    (
        "runs/before.py",
        "return os.path.relpath(run.resolve(), table.resolve().parent)",
        "return str(run)",
        "test_audit_cli",
    ),
]
