"""Expo push service: https://docs.expo.dev/push-notifications/sending-notifications/."""
