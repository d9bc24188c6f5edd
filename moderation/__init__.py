"""Who may, and what is shown: roles, the queue, what is on air, limits, and what each audience sees. Pure rules too."""
