"""The infrastructure (Bicep, azd) and, in ``checks``, what can be checked of it without Azure."""
