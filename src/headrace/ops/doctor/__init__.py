"""What `headrace doctor` finds; nothing that it looks at is changed."""

from headrace.ops.doctor.examine import examine

__all__ = ["examine"]
