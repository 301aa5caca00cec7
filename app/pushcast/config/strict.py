"""What every section of the configuration is made of."""

from __future__ import annotations

from typing import Annotated, Any, get_args
from urllib.parse import SplitResult

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
EndpointName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
Label = Annotated[str, Field(min_length=1, max_length=256)]


def port_of(parts: SplitResult) -> int | None:
    """Of a URL, where it names one. Raises ValueError without the text: behind a colon may stand a password."""
    try:
        port = parts.port
    except ValueError:
        raise ValueError("its port is no number from 1 to 65535") from None
    if port == 0:
        raise ValueError("it has port 0; 1 to 65535")
    return port


class Strict(BaseModel):
    """Unknown keys are typing mistakes: refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _yes_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Pydantic takes `partitions: yes` for one partition."""
        if isinstance(value, bool) and info.field_name is not None:
            annotation = cls.model_fields[info.field_name].annotation
            if bool not in (annotation, *get_args(annotation)):
                raise ValueError("is yes or no (true or false) to YAML, which is not what it takes")
        return value
