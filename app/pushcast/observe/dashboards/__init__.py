"""Dashboards for Grafana and rules for Prometheus, from the metric catalogue; deploy/ holds what they render to."""
