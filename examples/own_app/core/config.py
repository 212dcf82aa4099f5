"""Settings from the environment and `.env`."""

from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Settings of the service. `ffmpeg_threads` is the number of threads of each ffmpeg; 0 is automatic."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore")

    database_url: str
    queue_name: str
    output_folder: Path
    ffmpeg_threads: int = 0


settings = Settings()
