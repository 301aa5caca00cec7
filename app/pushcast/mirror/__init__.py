"""MIRROR: tells FCM which devices follow those topics that broadcasts go to by `via: fcm_topic`."""
