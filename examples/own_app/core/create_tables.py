"""`python -m core.create_tables`: create the tables and a first user."""

from core.models import Base, Session, User, engine

Base.metadata.create_all(engine)
with Session.begin() as session:
    if session.get(User, 1) is None:
        session.add(User(id=1, email="load-test@example.org"))
