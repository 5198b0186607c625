"""Every app of the system, the kernel included."""
