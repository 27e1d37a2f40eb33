"""What every command needs: console, options, files, machine."""
