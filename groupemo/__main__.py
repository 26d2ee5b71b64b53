"""`python -m groupemo` is the command line."""

from groupemo.cli import app

if __name__ == "__main__":
    app(prog_name="groupemo")
