"""One that starts a thread, which a copy of its process would be without."""

import threading

threading.Thread(target=threading.Event().wait, daemon=True).start()
