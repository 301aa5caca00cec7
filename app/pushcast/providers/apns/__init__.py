"""Apple Push Notification service.

https://developer.apple.com/documentation/usernotifications/sending-notification-requests-to-apns
"""
