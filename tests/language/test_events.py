"""Event classes become schemas, whatever way their annotations are written."""

from __future__ import annotations

import math
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, ClassVar, Literal, Optional

import pytest

import headrace.language as hr
from headrace.language.events import checks_of, schema_of
from headrace.values.errors import DefinitionError
from headrace.values.schema import (
    DecimalType,
    Field,
    ListType,
    LiteralType,
    Scalar,
    Schema,
    StructType,
    sql_type,
)


class Item(hr.Struct):
    name: str
    price: Annotated[Decimal, hr.Precision(18, 2)]


class Order(hr.Event):
    at: datetime
    day: date
    id: str
    quantity: int
    weight: float
    paid: bool
    status: Literal["open", "closed"]
    level: Literal[1, 2]
    note: str | None
    other: Optional[str] = None  # noqa: UP045
    items: list[Item]
    codes: list[int | None]
    first: Item | None

    checks = {"quantity": "quantity > 0"}


def test_every_type_of_field() -> None:
    item = StructType((Field("name", Scalar("str")), Field("price", DecimalType(18, 2))))
    assert schema_of(Order) == Schema(
        "Order",
        (
            Field("at", Scalar("datetime")),
            Field("day", Scalar("date")),
            Field("id", Scalar("str")),
            Field("quantity", Scalar("int")),
            Field("weight", Scalar("float")),
            Field("paid", Scalar("bool")),
            Field("status", LiteralType(("open", "closed"))),
            Field("level", LiteralType((1, 2))),
            Field("note", Scalar("str"), nullable=True),
            Field("other", Scalar("str"), nullable=True),
            Field("items", ListType(item)),
            Field("codes", ListType(Scalar("int"), nullable=True)),
            Field("first", item, nullable=True),
        ),
    )
    assert checks_of(Order) == (("quantity", "quantity > 0"),)


def test_classes_inside_of_functions_are_found() -> None:
    class Inner(hr.Struct):
        x: int

    class Outer(hr.Event):
        inner: Inner
        inners: list[Inner]

    assert sql_type(schema_of(Outer).field("inners").type) == 'STRUCT("x" BIGINT)[]'


def test_a_class_may_be_declared_below_the_one_that_names_it() -> None:
    assert schema_of(Early).field("late").type == StructType((Field("x", Scalar("int")),))


class Early(hr.Event):
    late: Late


class Late(hr.Struct):
    x: int


def test_fields_are_inherited() -> None:
    class Base(hr.Event):
        id: str
        checks = {"id": "id <> ''"}

    class More(Base):
        amount: int

    assert [f.name for f in schema_of(More).fields] == ["id", "amount"]
    assert checks_of(More) == (("id", "id <> ''"),)


def test_a_struct_cannot_contain_itself() -> None:
    with pytest.raises(DefinitionError, match="Loop contains itself"):
        schema_of(Looping)


class Loop(hr.Struct):
    loop: Loop


class Looping(hr.Event):
    loop: Loop


def test_annotations_that_are_no_text() -> None:
    plain = type("Plain", (hr.Event,), {"__annotations__": {"x": float | None}})
    assert schema_of(plain).fields == (Field("x", Scalar("float"), nullable=True),)


def test_what_is_no_annotation_is_no_field() -> None:
    class Constant(hr.Event):
        x: float
        TAU = math.tau

    assert [f.name for f in schema_of(Constant).fields] == ["x"]


def test_checks_of_a_struct_is_a_field() -> None:
    class Host(hr.Struct):
        name: str
        checks: list[str]
        kept: ClassVar[int] = 3

    class Report(hr.Event):
        host: Host

    [host] = schema_of(Report).fields
    assert isinstance(host.type, StructType)
    assert [f.name for f in host.type.fields] == ["name", "checks"]
    assert host.type.fields[1] == Field("checks", ListType(Scalar("str")))


def test_checks_of_an_event_may_be_annotated() -> None:
    class Plain(hr.Event):
        id: str
        checks: dict[str, str] = {"id": "id <> ''"}

    class Constant(hr.Event):
        id: str
        limit: ClassVar[int] = 3
        checks: ClassVar[dict[str, str]] = {"id": "id <> ''"}

    class Inheriting(Constant):
        amount: int
        checks: ClassVar[dict[str, str]]

    for event, names in ((Plain, ["id"]), (Constant, ["id"]), (Inheriting, ["id", "amount"])):
        assert [f.name for f in schema_of(event).fields] == names
        assert checks_of(event) == (("id", "id <> ''"),)


class Checked(hr.Struct):
    checks: list[str]


class Declared(hr.Event):
    id: str
    checks: list[str]


class Missing(hr.Event):
    id: str
    checks: list[str] | None = None  # type: ignore[assignment]


class Inherited(hr.Event, Checked):
    id: str


class Both(Inherited):
    checks = {"id": "id <> ''"}  # type: ignore[assignment]


class Nesting(hr.Event):
    of: Declared


@pytest.mark.parametrize("event", [Declared, Missing, Inherited, Both, Nesting])
def test_checks_as_a_field_of_an_event_is_refused(event: type[hr.Event]) -> None:
    with pytest.raises(DefinitionError, match='no field may be called "checks"') as found:
        schema_of(event)
    assert "checks = {" in str(found.value.remedy)
