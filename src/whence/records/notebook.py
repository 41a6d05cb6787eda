"""How records are shown in notebooks: by the blocks of pages, which are found when they are used.

Records come before pages: this table names the functions and imports none.
"""

from whence.table import Table

NOTEBOOK_VIEWS = Table(
    "notebook view",
    {
        "answers": "whence.report.notebook:view_answers",
        "explanation": "whence.report.notebook:view_explanation",
        "evaluation": "whence.report.notebook:view_evaluation",
        "images": "whence.report.notebook:view_images",
        "classifier": "whence.report.notebook:view_classifier",
    },
)
