"""Modules that workers import before their first job."""
