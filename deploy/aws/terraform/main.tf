# The longest retention of SQS. The age of a dead-lettered message counts from its first sending.
resource "aws_sqs_queue" "dead_letters" {
  name                      = "${substr(var.queue_name, 0, 76)}-dlq"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
}

resource "aws_sqs_queue" "videos" {
  name                       = var.queue_name
  visibility_timeout_seconds = var.visibility_timeout_seconds
  message_retention_seconds  = 345600
  receive_wait_time_seconds  = 5
  sqs_managed_sse_enabled    = true
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letters.arn
    maxReceiveCount     = var.max_receive_count
  })
}

resource "aws_s3_bucket" "videos" {
  bucket = var.bucket_name
}

resource "aws_s3_bucket_public_access_block" "videos" {
  bucket                  = aws_s3_bucket.videos.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

# Outputs of tests, and parts of killed uploads, cost nothing after a while.
resource "aws_s3_bucket_lifecycle_configuration" "videos" {
  bucket = aws_s3_bucket.videos.id

  rule {
    id     = "outputs"
    status = "Enabled"

    filter {
      prefix = var.processed_prefix
    }

    expiration {
      days = var.output_days
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }
}
