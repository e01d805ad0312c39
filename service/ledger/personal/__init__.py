"""The personal parts of entries, which stand apart from the chain so that they can be erased.

An entry holds a salted commitment of each of its parts. Without the salt a commitment tells nothing
about what was committed to, and with it nobody can show another content. So a part can be removed
together with its salt, and the entry, the chain, the tree and every proof stay as they are.

- `erasure`: delete the parts of decisions, and record that it was done
- `files`: remove what was deleted from the files of the database
- `command`: `python -m service.ledger erase`
"""
