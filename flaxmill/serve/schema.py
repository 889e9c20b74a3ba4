"""What responses look like, for /openapi.json."""

from typing import Any

from pydantic import BaseModel, Field


class Error(BaseModel):
    """What went wrong, in words."""

    error: str


class ModelIdentity(BaseModel):
    """Which weights answered."""

    name: str
    version: str
    weights_sha256: str


class ClassProbability(BaseModel):
    """A class and how probable it is, calibrated as the export is."""

    label: str
    probability: float


class Prediction(BaseModel):
    """The likeliest classes of one picture, the likeliest first."""

    picture: str = Field(description="the file's name")
    predictions: list[ClassProbability]
    labels: list[str] | None = Field(
        None, description="where any number may hold: those above one half"
    )
    seen: str | None = Field(None, description="data: URL of the picture as the model saw it")


class Predictions(BaseModel):
    """The response of /predict."""

    model: ModelIdentity
    predictions: list[Prediction]


class Tensor(BaseModel):
    """A tensor of the Open Inference Protocol."""

    name: str
    datatype: str
    shape: list[int]
    parameters: dict[str, Any] | None = None
    data: list[Any] | None = None


class InferenceResponse(BaseModel):
    """A response of the Open Inference Protocol."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[Tensor]


PICTURES = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "picture": {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                        }
                    },
                }
            },
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["pictures"],
                    "properties": {
                        "pictures": {
                            "type": "array",
                            "items": {"type": "string"},
                            "description": "base64 texts or data: URLs",
                        },
                        "top": {"type": "integer", "minimum": 1, "default": 5},
                        "seen": {"type": "boolean", "default": False},
                    },
                }
            },
        },
    },
    "parameters": [
        {
            "name": "top",
            "in": "query",
            "description": "how many classes to name",
            "schema": {"type": "integer", "minimum": 1, "default": 5},
        },
        {
            "name": "seen",
            "in": "query",
            "description": "1 to also get the picture as the model saw it",
            "schema": {"type": "integer", "enum": [0, 1], "default": 0},
        },
    ],
}

_INFERENCE_REQUEST = {
    "type": "object",
    "required": ["inputs"],
    "properties": {
        "id": {"type": "string"},
        "inputs": {"type": "array", "items": {"$ref": "#/components/schemas/Tensor"}},
        "outputs": {"type": "array", "items": {"type": "object"}},
        "parameters": {"type": "object"},
    },
}
INFERENCE = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": _INFERENCE_REQUEST},
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
