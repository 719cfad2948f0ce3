"""Asterisk's configuration files, read exactly as Asterisk does and written back byte for byte; pure, no I/O.

Called by resources and by apply. `Configuration.load` is the front door; `Document` is one file. It deliberately writes no file and knows
no module of Asterisk: what a value means to voicemail or the dialplan is values.py's business.
"""

from .configuration import Configuration
from .document import Document
from .includes import Files
from .inherit import Category, Variable
from .lines import Where
from .reading import Rejection

__all__ = ["Category", "Configuration", "Document", "Files", "Rejection", "Variable", "Where"]
