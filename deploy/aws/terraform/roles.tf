# Three roles with the calls of each program. docs/operating.md has the reasons, and a test compares the two.
data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = var.trusted_services
    }
  }
}

data "aws_iam_policy_document" "worker" {
  statement {
    sid = "Queue"
    actions = [
      "sqs:GetQueueUrl",
      "sqs:GetQueueAttributes",
      "sqs:ReceiveMessage",
      "sqs:DeleteMessage",
      "sqs:ChangeMessageVisibility",
    ]
    resources = [aws_sqs_queue.videos.arn]
  }

  statement {
    sid = "DeadLetters"
    actions = [
      "sqs:GetQueueUrl",
      "sqs:GetQueueAttributes",
      "sqs:ReceiveMessage",
      "sqs:ChangeMessageVisibility",
      "sqs:SendMessage",
    ]
    resources = [aws_sqs_queue.dead_letters.arn]
  }

  statement {
    sid       = "Inputs"
    actions   = ["s3:GetObject"]
    resources = ["${aws_s3_bucket.videos.arn}/${var.upload_prefix}*"]
  }

  statement {
    sid       = "Outputs"
    actions   = ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
    resources = ["${aws_s3_bucket.videos.arn}/${var.processed_prefix}*"]
  }

  statement {
    sid       = "Bucket"
    actions   = ["s3:ListBucket", "s3:ListBucketMultipartUploads"]
    resources = [aws_s3_bucket.videos.arn]
  }
}

data "aws_iam_policy_document" "injector" {
  statement {
    sid       = "Queue"
    actions   = ["sqs:GetQueueUrl", "sqs:GetQueueAttributes", "sqs:SendMessage"]
    resources = [aws_sqs_queue.videos.arn]
  }

  # The injector notes at its start how many dead-lettered messages there are.
  statement {
    sid       = "DeadLetters"
    actions   = ["sqs:GetQueueUrl", "sqs:GetQueueAttributes"]
    resources = [aws_sqs_queue.dead_letters.arn]
  }

  statement {
    sid       = "Inputs"
    actions   = ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"]
    resources = ["${aws_s3_bucket.videos.arn}/${var.upload_prefix}*"]
  }

  statement {
    sid       = "Bucket"
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.videos.arn]
  }

  dynamic "statement" {
    for_each = var.allow_matrix ? ["Matrix"] : []

    content {
      sid       = statement.value
      actions   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"]
      resources = [aws_sqs_queue.videos.arn]
    }
  }
}

data "aws_iam_policy_document" "exporters" {
  statement {
    sid       = "Queues"
    actions   = ["sqs:GetQueueUrl", "sqs:GetQueueAttributes"]
    resources = [aws_sqs_queue.videos.arn, aws_sqs_queue.dead_letters.arn]
  }
}

resource "aws_iam_role" "worker" {
  name               = "${var.queue_name}-worker"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

resource "aws_iam_role" "injector" {
  name               = "${var.queue_name}-injector"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

resource "aws_iam_role" "exporters" {
  name               = "${var.queue_name}-exporters"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

resource "aws_iam_role_policy" "worker" {
  name   = "aforo"
  role   = aws_iam_role.worker.id
  policy = data.aws_iam_policy_document.worker.json
}

resource "aws_iam_role_policy" "injector" {
  name   = "aforo"
  role   = aws_iam_role.injector.id
  policy = data.aws_iam_policy_document.injector.json
}

resource "aws_iam_role_policy" "exporters" {
  name   = "aforo"
  role   = aws_iam_role.exporters.id
  policy = data.aws_iam_policy_document.exporters.json
}

# Machines of EC2 get a role by an instance profile. One machine that runs everything needs the first two roles' calls.
resource "aws_iam_instance_profile" "worker" {
  name = "${var.queue_name}-worker"
  role = aws_iam_role.worker.name
}

resource "aws_iam_role" "machine" {
  name               = "${var.queue_name}-machine"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

resource "aws_iam_role_policy" "machine" {
  for_each = {
    worker    = data.aws_iam_policy_document.worker.json
    injector  = data.aws_iam_policy_document.injector.json
    exporters = data.aws_iam_policy_document.exporters.json
  }
  name   = each.key
  role   = aws_iam_role.machine.id
  policy = each.value
}

resource "aws_iam_instance_profile" "machine" {
  name = "${var.queue_name}-machine"
  role = aws_iam_role.machine.name
}
