"""Who may see and do what: whoever asks is a `principal.Principal`."""
