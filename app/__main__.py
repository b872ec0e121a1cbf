"""``python -m app`` serves with everything embedded below ``./var``."""

from app.cli import load_config, run_server

if __name__ == "__main__":
    run_server(load_config(), with_jobs=True)
