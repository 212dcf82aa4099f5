"""Database tables of the service: users and their videos."""

from datetime import UTC, datetime

from sqlalchemy import ForeignKey, String, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

from core.config import settings

engine = create_engine(settings.database_url)
Session = sessionmaker(engine)


def now() -> datetime:
    """Return the present UTC time without a zone, as the tables store it."""
    return datetime.now(UTC).replace(tzinfo=None)


class Base(DeclarativeBase):
    """Base class of the classes that describe the tables."""


class User(Base):
    """A user of the service."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(120), unique=True)


class Video(Base):
    """An uploaded video. `status` is uploaded, processing, done or failed."""

    __tablename__ = "videos"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    title: Mapped[str] = mapped_column(String(80))
    source_path: Mapped[str]
    result_path: Mapped[str | None]
    status: Mapped[str] = mapped_column(String(16), default="uploaded")
    error: Mapped[str | None]
    uploaded_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)
