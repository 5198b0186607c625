"""Background work: scheduled jobs, work that people start, and its history.

``schedule`` computes when, ``handle`` is what a task sees of its run, ``engine`` executes, ``service`` is the use.
"""
