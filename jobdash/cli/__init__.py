"""The commands: thin faces over `jobdash.operations`, each in a module that loads when it is called."""
