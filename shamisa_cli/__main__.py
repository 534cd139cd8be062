"""``python -m shamisa_cli`` is ``shamisa`` (torchrun needs a module to start)."""

from shamisa_cli.cli import main

if __name__ == "__main__":
    main()
