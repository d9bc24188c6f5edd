"""What people see: pages, partials, wording, styles, browser modules. Imports rooms and moderation only."""
